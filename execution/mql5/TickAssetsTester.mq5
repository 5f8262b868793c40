//+------------------------------------------------------------------+
//| TickAssetsTester: trades the signals of a file in the tester      |
//| Reads what `tick export-mt5` wrote: tab separated, server time.   |
//| What must not live here: deciding what to trade.                  |
//+------------------------------------------------------------------+
#property copyright "tick_assets"
#property version   "1.00"
#property tester_file "tick_assets_signals.csv"

input string SignalFile = "tick_assets_signals.csv"; // in MQL5\Files, or in the common folder
input bool   IsCommon   = true;                      // look in the common folder of all terminals
input int    ValidMs    = 5000;                      // an entry later than this after its signal is missed
input long   Magic      = 74110;                     // marks the positions of this expert

struct Signal
  {
   long              time_msc;
   int               view;
   double            stop;
   double            target;
   long              exit_msc;
   double            lots;
   string            id;
  };

Signal signals[];
int    next_signal = 0;
long   exit_at_msc = 0;
int    entered = 0;
int    missed = 0;
int    refused = 0;

//--- "2024.01.09 14:00:00.123" to milliseconds of server time
long ToMsc(const string text)
  {
   datetime second = StringToTime(StringSubstr(text, 0, 19));
   return (long)second * 1000 + (long)StringToInteger(StringSubstr(text, 20, 3));
  }

bool ReadSignals()
  {
   int flags = FILE_READ | FILE_TXT | FILE_ANSI | FILE_SHARE_READ;
   if(IsCommon)
      flags = flags | FILE_COMMON;
   int file = FileOpen(SignalFile, flags);
   if(file == INVALID_HANDLE)
     {
      PrintFormat("Expected the signals in %s, was error %d. Copy the file to the %s folder.", SignalFile, GetLastError(),
                  IsCommon ? "common" : "MQL5\\Files");
      return false;
     }
   FileReadString(file);
   while(!FileIsEnding(file))
     {
      string cells[];
      string line = FileReadString(file);
      if(StringSplit(line, 9, cells) != 7)
         continue;
      int place = ArraySize(signals);
      ArrayResize(signals, place + 1, 4096);
      signals[place].time_msc = ToMsc(cells[0]);
      signals[place].view = cells[1] == "LONG" ? 1 : -1;
      signals[place].stop = StringToDouble(cells[2]);
      signals[place].target = StringToDouble(cells[3]);
      signals[place].exit_msc = ToMsc(cells[4]);
      signals[place].lots = StringToDouble(cells[5]);
      signals[place].id = cells[6];
     }
   FileClose(file);
   return ArraySize(signals) > 0;
  }

int OnInit()
  {
   if(!ReadSignals())
      return INIT_FAILED;
   PrintFormat("%d signals of %s", ArraySize(signals), SignalFile);
   return INIT_SUCCEEDED;
  }

ulong OwnPosition()
  {
   for(int i = PositionsTotal() - 1; i >= 0; i--)
     {
      ulong ticket = PositionGetTicket(i);
      if(ticket > 0 && PositionGetString(POSITION_SYMBOL) == _Symbol && PositionGetInteger(POSITION_MAGIC) == Magic)
         return ticket;
     }
   return 0;
  }

ENUM_ORDER_TYPE_FILLING Filling()
  {
   long modes = SymbolInfoInteger(_Symbol, SYMBOL_FILLING_MODE);
   if((modes & SYMBOL_FILLING_FOK) != 0)
      return ORDER_FILLING_FOK;
   if((modes & SYMBOL_FILLING_IOC) != 0)
      return ORDER_FILLING_IOC;
   return ORDER_FILLING_RETURN;
  }

bool Deal(const int side, const double lots, const double stop, const double target, const ulong position, const string comment)
  {
   MqlTick tick;
   MqlTradeRequest request;
   MqlTradeResult result;
   ZeroMemory(request);
   ZeroMemory(result);
   if(!SymbolInfoTick(_Symbol, tick))
      return false;
   request.action = TRADE_ACTION_DEAL;
   request.symbol = _Symbol;
   request.volume = lots;
   request.type = side > 0 ? ORDER_TYPE_BUY : ORDER_TYPE_SELL;
   request.price = side > 0 ? tick.ask : tick.bid;
   request.sl = stop;
   request.tp = target;
   request.deviation = 20;
   request.magic = (ulong)Magic;
   request.position = position;
   request.comment = comment;
   request.type_filling = Filling();
   if(OrderSend(request, result) && (result.retcode == TRADE_RETCODE_DONE || result.retcode == TRADE_RETCODE_PLACED))
      return true;
   PrintFormat("Expected a fill of %s, was retcode %d", comment, (int)result.retcode);
   return false;
  }

void CloseWhenDue(const long now_msc)
  {
   ulong ticket = OwnPosition();
   if(ticket == 0 || now_msc < exit_at_msc || !PositionSelectByTicket(ticket))
      return;
   int side = PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY ? -1 : 1;
   Deal(side, PositionGetDouble(POSITION_VOLUME), 0.0, 0.0, ticket, "ta-exit");
  }

void OnTick()
  {
   MqlTick tick;
   if(!SymbolInfoTick(_Symbol, tick))
      return;
   CloseWhenDue(tick.time_msc);
   while(next_signal < ArraySize(signals) && signals[next_signal].time_msc <= tick.time_msc)
     {
      Signal signal = signals[next_signal];
      next_signal++;
      if(OwnPosition() != 0 || tick.time_msc > signal.time_msc + ValidMs)
        {
         missed++;
         continue;
        }
      if(Deal(signal.view, signal.lots, signal.stop, signal.target, 0, "ta-" + StringSubstr(signal.id, 0, 12)))
        {
         exit_at_msc = signal.exit_msc;
         entered++;
        }
      else
         refused++;
     }
  }

void OnDeinit(const int reason)
  {
   PrintFormat("%d entered, %d missed, %d refused, %d never reached", entered, missed, refused, ArraySize(signals) - next_signal);
  }
//+------------------------------------------------------------------+
